"""What is told, brought to the tools of people: HTTP, retries, order, and a record of every delivery."""
