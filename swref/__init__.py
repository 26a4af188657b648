"""Spectral Wasserstein distances, couplings and flows, each with a certificate."""
