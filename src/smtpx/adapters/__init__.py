"""smtpx where people already are: one module for each web framework, which only that module imports."""
