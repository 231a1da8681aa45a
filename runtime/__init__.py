"""The vehicle side: camera -> engine -> mask, with the latency of every frame. Never imports TensorFlow."""
