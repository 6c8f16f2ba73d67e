"""Makes a release bundle of a deployed folder: card, licences, bill of materials, provenance, digests, signature."""
