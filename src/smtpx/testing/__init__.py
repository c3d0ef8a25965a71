"""What the tests of programs that use smtpx need."""
