"""What a leaderboard says, section by section, as plain texts and tables of texts."""
