"""Reading windows whole, of any vendor: pages, counts, budgets and retries."""
