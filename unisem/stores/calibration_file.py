"""`CalibrationFile`: a space's calibration, in its directory or in memory."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

from unisem.calibration import Calibration, load_calibration, save_calibration
from unisem.common.atomic_files import fsync_folder
from unisem.common.owned import is_own_file
from unisem.errors import CalibrationError, EncoderMismatchError, StoreError
from unisem.stores.calibrated import Calibrated

FILE = "calibration.safetensors"
_log = logging.getLogger(__name__)
_Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Swap:
    """A calibration that is to take the present one's place.

    Attributes:
        file: Where it will be.
        calibrated: It; ``None`` if there is to be none.
    """

    file: CalibrationFile
    calibrated: Calibrated | None

    def commit(self) -> None:
        """See `CalibrationFile.write`."""
        self.file.write(self.calibrated)


class CalibrationFile:
    """What the file ``calibration.safetensors`` says, as it is now; other processes replace it.

    One that is damaged, of another dimension or of another encoder is not used: a warning says why,
    and scores are raw cosines until there is another.

    Args:
        directory: Where it lies; ``None`` for memory.
    """

    def __init__(self, directory: Path | None) -> None:
        self._path = None if directory is None else directory / FILE
        self._fingerprint: str | None = None
        self._seen: _Stamp | None = None
        self._calibrated: Calibrated | None = None
        self._warned: object = None

    def expect(self, fingerprint: str) -> None:
        """Use calibrations of this encoder only."""
        self._fingerprint = fingerprint

    def newest(self, dimension: int | None = None) -> Calibrated | None:
        """The present calibration, if it can be used; `Calibrated` is the same until it changes.

        Args:
            dimension: Of the vectors that it is for; any, if ``None``.
        """
        if self._path is not None and self._stamp() != self._seen:
            self._read()
        found = self._calibrated
        if found is None:
            return None
        try:
            self.check(found.calibration, dimension)
        except (CalibrationError, EncoderMismatchError) as error:
            if self._warned is not found:
                self._warned = found
                _log.warning("%s is not used: %s", self._path or "the calibration", error)
            return None
        return found

    def check(self, calibration: Calibration, dimension: int | None = None) -> None:
        """Refuse a calibration of other vectors than the space's.

        Raises:
            CalibrationError: They are of another dimension.
            EncoderMismatchError: They are another encoder's.
        """
        if self._fingerprint is not None:
            calibration.check(self._fingerprint)
        if dimension not in (None, calibration.dimension):
            raise CalibrationError(
                f"it is for vectors of dimension {calibration.dimension}, not {dimension}; fit one "
                "to the space's own vectors"
            )

    def swap(self, calibration: Calibration | None, dimension: int | None) -> Swap:
        """Make another ready to take the present one's place.

        Raises:
            CalibrationError: It is of vectors of another dimension.
            EncoderMismatchError: It is of another encoder's vectors.
        """
        if calibration is not None:
            self.check(calibration, dimension)
        return Swap(self, None if calibration is None else Calibrated.of(calibration))

    def write(self, calibrated: Calibrated | None) -> None:
        """Put another in place of the present one, whole or not at all; none, if ``None``.

        Raises:
            StoreError: The disk refused; the present one stays.
        """
        if self._path is not None:
            try:
                if calibrated is not None:
                    save_calibration(calibrated.calibration, self._path)
                else:
                    self._path.unlink(missing_ok=True)
                    fsync_folder(self._path.parent)
            except OSError as error:
                raise StoreError(f"{self._path} could not be written ({error})") from error
            self._seen = self._stamp()
        self._calibrated = calibrated

    def _stamp(self) -> _Stamp | None:
        assert self._path is not None
        try:
            found = self._path.lstat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _read(self) -> None:
        assert self._path is not None
        while (stamp := self._stamp()) != self._seen:  # it may be replaced while it is read
            self._seen, self._calibrated = stamp, None
            if stamp is None:
                continue
            try:
                if not is_own_file(self._path):
                    raise CalibrationError(f"{self._path} is no file of the space's own")
                calibration = load_calibration(self._path)
                digest = hashlib.sha256(self._path.read_bytes()).hexdigest()
            except (CalibrationError, OSError) as error:
                _log.warning("scores are raw cosines: %s", error)
                continue
            self._calibrated = Calibrated(calibration, digest)
