"""What records say: tables of what can be compared, and what follows from them."""
