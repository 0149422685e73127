"""The first page: title, verdict, its reason and scope, the figure of the decision, notes, and the page's controls."""
