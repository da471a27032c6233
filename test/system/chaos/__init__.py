"""The chaos test's parts: what happens when (plan.py), who does it to the server (deeds.py), who asks for
something meanwhile (clients.py, talks.py), and what must be true afterwards (audit.py)."""
