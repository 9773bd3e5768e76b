"""`manage.py rehearse`: the country onboarded by the real engine, on servers of its own, with faults injected."""
