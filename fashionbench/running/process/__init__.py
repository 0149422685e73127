"""Work in processes of their own: a crash or a hang ends nothing else, and memory starts clean."""
