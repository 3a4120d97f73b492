"""Campaigns as rows: what the API and the coordinator both know of them. No sampler here."""
