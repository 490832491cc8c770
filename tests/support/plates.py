"""Number plates as somebody may write them into an id, and ids that are none."""

from typing import Final

# A plate of each layout, in Latin letters: capitals, small letters, letters that sound alike.
LAYOUTS: Final = {
    "car": ("A939HO196", "x777yk799", "A939NO196", "V001UU77"),
    "car, region first": ("196A939HO", "77x777yk"),
    "car without its region": ("A939HO", "x777yk"),
    "taxi": ("AH12377", "ah123456", "AN12377"),
    "trailer": ("AH123477", "ah1234777"),
    "motorcycle": ("1234AB77", "1234ab777", "1234UV77"),
    "old": ("A1234BC", "a1234bc", "MM55AA77", "mm55aa777"),
    "transit": ("AH123C77", "ah123c777"),
    "export": ("TAH12377", "tah123777"),
    "police": ("A123477", "a1234777"),
    "police motorcycle": ("1234A77", "1234a777"),
    "police trailer": ("123A77", "123a777"),
    "diplomat": ("001CD178", "001cd123456", "001D178", "001T178"),
    "region first": (
        *("77AH123", "77a1234", "771234AB", "7771234ab", "77AH1234", "77AH123C", "77TAH123"),
        *("771234A", "77123a", "77001D123", "77001cd1", "77MM55AA"),
    ),
    "foreign": ("AA1234BB", "aa1234bb", "123ABC02", "123abc02", "AB123CD", "A123BCD", "1234AB7"),
}
PLATES: Final = [plate for plates in LAYOUTS.values() for plate in plates]


def _grouped(plate: str, gap: str) -> str:
    """With a gap between letters and digits."""
    pairs = zip(plate, f"{plate[1:]} ", strict=True)
    return "".join(
        one + gap * (one.isdigit() != next_one.isdigit() and next_one != " ")
        for one, next_one in pairs
    )


_WORDS: Final = ("A939HO196", "x777yk799", "1234ab77", "MM55AA77", "AH123C77", "123ABC02")
WITHHELD_IDS: Final = [
    *PLATES,
    *(_grouped(plate, gap) for plate in PLATES for gap in "._:-"),
    *(gap.join(plate) for plate in PLATES if plate not in LAYOUTS["foreign"] for gap in "._:-"),
    *(f"{gap}{gap}".join("A939HO196") for gap in "._:-"),
    # Within longer ids.
    *(f"req-{plate}" for plate in PLATES),
    *(f"{plate}-1732870000" for plate in PLATES),
    *(f"2026-11-29-{plate}_x" for plate in PLATES),
    *(f"req{plate.upper()}" for plate in PLATES if plate not in LAYOUTS["foreign"][4:]),
    *(f"req{plate}a" for plate in ("A939HO196", "x777yk799", "1234ab77", "ah123c77", "mm55aa77")),
    *(f"cam12:{plate}:7f3a0c2b9d8e4f60a1b2c3d4e5f60718" for plate in _WORDS),
    *("202108015256C98", "07661E71", "20210801771234ab", "2021-08-01.77-1234-A"),
    *("1732870000A939HO196", "a123477-2026", "reqab12377", "reqa123477", "A9-39HO_1.96"),
]
KEPT_IDS: Final = [
    # UUIDs and their like.
    *("f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "A123BC77-0000-4000-8000-000000000000"),
    *("018f3a2e-7c00-7cc1-8b1d-2b0d7b3dcb6d", "a123bc77000040008000000000000000"),
    *("01ARZ3NDEKTSV4RRFFQ69G5FAV", "01hx777yk7990000000000000a", "req-01ARZ3NDEKTSV4RRFFQ69G5FAV"),
    *("V1StGXR8_Z5jdHi6B-myT", "0ujtsYcgvSTl8PAuAdqWYSMnLOv", "cjld2cjxh0000qzrmn831i7rn"),
    *("9m4e2mr0ui3e8a215n4g", "507f1f77bcf86cd799439011", "req_507f1f77bcf86cd799439011"),
    *("80f198ee56343ba864fe8b2a57d3eff7", "80F198EE56343BA864FE8B2A57D3EFF7", "e457b5a2e4d86bd1"),
    *("da39a3ee5e6b4b0d3255bfef95601890afd80709", "0" * 32, "f" * 64),
    # Traces: W3C, X-Ray, B3, Jaeger.
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "1-5759e988-bd862e3fe1be46a994272793",
    "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1",
    "49bc4622e0885720:54ad187b6b4b458f:0:1",
    # Numbers and times.
    *("1234567890123456789", "1541815603606036480", "1732870000", "1732870000.123", "0", "42"),
    *("2026-11-29T07:04:20.297Z", "2026-11-29T07:04:20", "20261129T070420Z", "20261129-070420"),
    *("2026-11-29-b", "20261129-ab", "batch-2026-11-29.c"),
    *("req-2026-11-29T07:04:20Z-0001", "2026-11-29", "2026-11-29-0001"),
    # Words and numbers.
    *("order-42", "trace-42", "key-1", "camera-12.frame:9_b", "req-000001", "request-123456"),
    *("order-1234567", "id-123456", "node12345", "batch-2026-11-21-0001", "web01.1234.567890"),
    *("worker-3-000042", "pod-7d9f8b6c5d-x2v4q", "retry-2_of-5", "partition-12:offset-3456789"),
    *("10.0.0.1:5000", "frame000123", "cam01-20261129-070420-001", "x" * 128, "test", "a-1"),
    *("regno-sim-a1233957", "sha256-3f2a9c0d1e4b", "job:123456789"),
]
