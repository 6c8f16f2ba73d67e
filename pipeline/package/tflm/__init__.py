"""The TFLite file as a folder that a team with TFLite Micro in its SDK compiles: model, resolver, arena, golden clips, separator."""
