"""JUDGES artefacts: metrics, structure audit, parity ladder, per-layer comparison, sweeps, bound, gates and the report."""
