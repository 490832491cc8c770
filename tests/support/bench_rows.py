"""A reading as a CSV has it, and files of such."""

from pathlib import Path

READING = {
    "regno_recognize": "А123ВС77",
    "afts_regno_ai": "А128ВС77",
    "recognition_accuracy": "6.4",
    "afts_regno_ai_score": "0.87",
    "afts_regno_ai_char_scores": "[0.99, 0.5]",
    "afts_regno_ai_length_scores": "[0.1, 0.9]",
    "camera_type": "Стационарная",
    "camera_class": "Астра-Трафик",
    "time_check": "2021-08-01 09:02:59",
    "direction": "0",
}


def write_csv(path: Path, *readings: dict[str, str]) -> Path:
    lines = [",".join(readings[0])]
    quoted = ([f'"{value}"' for value in reading.values()] for reading in readings)
    lines += [",".join(values) for values in quoted]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
