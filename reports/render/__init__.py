"""A leaderboard as Markdown, HTML, CSV and data frames."""
