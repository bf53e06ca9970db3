"""Monitoring: extraction risk, signs of copying, the record of requests, and Prometheus metrics."""
