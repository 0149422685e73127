"""What is known of a network before it trains: its data flow, its state, and the kernel taps that meet data."""
