from pathlib import Path

MODEL_DIRECTORY = Path(__file__).parent / "model"
