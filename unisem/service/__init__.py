"""Spaces as a service: who may ask, what is asked together, and the limits of both."""
