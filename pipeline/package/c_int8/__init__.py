"""A self-contained C99 package of a fully-integer TFLite file, the same to the bit as TFLite's reference kernels."""
