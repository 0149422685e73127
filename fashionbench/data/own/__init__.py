"""Own: the user's images, from a folder, a table or an archive. May import data's arrays, dataset and readers."""
