"""Two small Qwen2-VL models made and trained here, for where no weights can be downloaded."""
