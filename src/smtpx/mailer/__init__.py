"""E-mail for applications: providers behind one port, a service over them, and what messages are made of."""
