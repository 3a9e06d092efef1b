"""What users bring: Python files, functions and packages of their own."""
