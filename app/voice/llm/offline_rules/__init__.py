"""What the offline mind understands: a table of rules (`table`), and the handlers behind them."""
