"""Where examples come from: embedded, DialogSum, E2E NLG, or the user's own file."""
