"""What people read: leaderboards and tables, all pure functions of records."""
