"""The client: connections step by step, and pooled clients, each in two colours over the same flows."""
