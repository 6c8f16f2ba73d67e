from tests.eager import eager

__all__ = ["eager"]
