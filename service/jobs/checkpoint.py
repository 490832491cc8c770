"""What an attempt has done so far: from there another one goes on."""

from typing import Self

import msgspec
from msgspec import Struct

from service.jobs.execution import Attempt


class Checkpoint(Struct):
    """`done` rows are scored by `version`: their output is in the blobs `parts`, in order.

    `parcels` is how many parcels of a table they were; `partial` says whether rows of an array had
    no score.
    """

    version: str
    done: int = 0
    parcels: int = 0
    partial: bool = False
    parts: list[str] = []

    @classmethod
    def of(cls, attempt: Attempt, version: str) -> Self:
        """Return that of the job, or an empty one if another version made it."""
        if attempt.job.checkpoint:
            known = msgspec.json.decode(attempt.job.checkpoint, type=cls)
            if known.version == version:
                return known
        return cls(version)

    def save(self, attempt: Attempt, part: bytes, total: int) -> None:
        """Keep the output of the rows since the last time, and note the progress.

        Raises as `Attempt.save`, and BlobsUnavailable.
        """
        self.parts.append(attempt.blobs.put(attempt.job.id, part))
        text = msgspec.json.encode(self).decode()
        attempt.save(done=self.done, total=total, checkpoint=text, version=self.version)
