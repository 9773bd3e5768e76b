"""The site: what every part of La Suite territoriale needs."""
