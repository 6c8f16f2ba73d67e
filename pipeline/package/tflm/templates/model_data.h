/* model.tflite as it is, at a multiple of 16 bytes as TFLite Micro wants it. */
#ifndef @UPPER@_MODEL_DATA_H
#define @UPPER@_MODEL_DATA_H

#include <stddef.h>
#include <stdint.h>

extern const uint8_t @PREFIX@_model_data[];
extern const size_t @PREFIX@_model_bytes;

#endif
