"""The app's settings. Each is declared once, in ``Settings``: name, parser, meaning and default.

``Settings.from_environ`` reads them all and reports every problem at once, by setting name. ``docs/settings.md`` and
``local.settings.example.json`` are generated from these declarations (``python -m tests.docs.regenerate_settings``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from inference.capture.name_pattern import NamePattern
from storage.blob_folder import CONTAINER, BlobFolder
from storage.errors import SettingsError
from storage.setting import (
    ConnectionSetting,
    Parser,
    Setting,
    comma_separated,
    matching,
    one_of,
    optional,
    whole,
    yes_or_no,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from storage.connection import Connection

_T = TypeVar("_T")

APP_ROOT = Path(__file__).resolve().parent.parent

REJECT_DAMAGED, CLASSIFY_DAMAGED = "reject", "classify"
"""The choices of ``DAMAGED_IMAGES``."""

_TABLE = re.compile(r"[A-Za-z][A-Za-z0-9]{2,55}")  # a table's name has at most 63 characters, and "reviews" is appended
# A queue's name has at most 63 characters, and "-refused" is appended; the host knows poison queues by their end.
_QUEUE = re.compile(r"(?=.{3,55}\Z)[a-z0-9](-?[a-z0-9])*(?<!-poison)(?<!-refused)")
_NOTIFY_QUEUE = re.compile(r"(?=.{3,63}\Z)[a-z0-9](-?[a-z0-9])*")
_MAX_HIDDEN_SECONDS = 7 * 24 * 3600  # the queue service hides a message for a week at most


def _several(text: str) -> list[str]:
    parts = [part.strip() for part in text.split(";") if part.strip()]  # no colon: Windows has one behind the drive
    if text and not parts:
        raise ValueError
    return parts


def _folder(text: str) -> Path:
    return (APP_ROOT / text).resolve()


def _blob(text: str) -> BlobFolder:
    blob = BlobFolder.parse(text)
    if not blob.prefix:
        raise ValueError
    return blob


def _score(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 1:
        raise ValueError
    return number


def _delays(text: str) -> tuple[int, ...]:
    delays = tuple(int(part) for part in text.split(","))
    if not all(1 <= delay <= _MAX_HIDDEN_SECONDS for delay in delays):
        raise ValueError
    return delays


_CONTAINER = matching(
    CONTAINER, "a container name: 3 to 63 lower-case letters, digits and single dashes, none at the ends"
)
_FOLDERS = Parser(lambda text: tuple(map(_folder, _several(text))), "a folder, or several with ; between them")
_BLOB_FOLDERS = Parser(
    lambda text: tuple(map(BlobFolder.parse, _several(text))), "container/prefix, or several with ; between them"
)


def _setting(name: str, parser: Parser[_T], meaning: str, default: str = "") -> _T:
    """Declare a field of ``Settings``; its type is the parser's."""
    declared: _T = field(metadata={"setting": Setting(name, parser, meaning, default)})
    return declared


@dataclass(frozen=True, slots=True)
class Settings:
    """What the app reads from its environment."""

    image_storage: Connection = field(
        metadata={"setting": ConnectionSetting("ImageStorage", "The account of images, results and queues.")}
    )
    incoming_container: str = _setting(
        "INCOMING_CONTAINER", _CONTAINER, "The container that photos are uploaded to.", "incoming"
    )
    results_container: str = _setting(
        "RESULTS_CONTAINER",
        _CONTAINER,
        "The container of the sidecars. It must not be the incoming container.",
        "results",
    )
    results_table: str = _setting(
        "RESULTS_TABLE",
        matching(_TABLE, "a table name: 3 to 56 letters and digits, a letter first"),
        "The table of the results. Its index table and its table of reviews have the same name followed by `index` and "
        "`reviews`.",
        "classifications",
    )
    requests_queue: str = _setting(
        "REQUESTS_QUEUE",
        matching(
            _QUEUE,
            "a queue name: 3 to 55 lower-case letters, digits and single dashes, not ending with -poison or -refused",
        ),
        "The queue of requests. Its poison queue and its queue of refused messages have the same name followed by "
        "`-poison` and `-refused`. Each app on an image account needs a name of its own.",
        "classify-requests",
    )
    model_dirs: tuple[Path, ...] = _setting(
        "MODEL_DIR",
        _FOLDERS,
        "The model's folder, relative to the app. With several folders all models answer, and the first one's label is "
        "the row's.",
        "models/shapes",
    )
    model_blobs: tuple[BlobFolder, ...] = _setting(
        "MODEL_BLOB", _BLOB_FOLDERS, "The model in blob storage, on `ImageStorage`, instead of `MODEL_DIR`."
    )
    model_cache_dir: Path | None = _setting(
        "MODEL_CACHE_DIR",
        optional(Parser(_folder, "a folder")),
        "The folder for models downloaded from blob storage. The default is in the temporary folder.",
    )
    model_refresh_seconds: int = _setting(
        "MODEL_REFRESH_SECONDS",
        whole(0, 7 * 24 * 3600),
        "How often the app checks for another version of `MODEL_BLOB` and `DECISION_BLOB`, in seconds. `0` turns the "
        "check off.",
        "300",
    )
    decision_blob: BlobFolder | None = _setting(
        "DECISION_BLOB",
        optional(Parser(_blob, "container/name")),
        "The `decision.json` in blob storage, on `ImageStorage`, instead of one in the model's folder.",
    )
    shadow_model_dir: Path | None = _setting(
        "SHADOW_MODEL_DIR",
        optional(Parser(_folder, "a folder")),
        "The folder of a candidate that answers a share of the images beside the model, for "
        "[a trial](models.md#try-a-candidate). Label and score of the row stay those of the model.",
    )
    shadow_model_blob: BlobFolder | None = _setting(
        "SHADOW_MODEL_BLOB",
        optional(Parser(BlobFolder.parse, "container/prefix")),
        "The candidate in blob storage, on `ImageStorage`, instead of `SHADOW_MODEL_DIR`.",
    )
    shadow_share: float = _setting(
        "SHADOW_SHARE",
        Parser(_score, "a number from 0 to 1"),
        "The share of the images that the candidate answers. `0` leaves the candidate unloaded.",
        "0.1",
    )
    blob_trigger_source: str = _setting(
        "BLOB_TRIGGER_SOURCE",
        one_of("EventGrid", "LogsAndContainerScan"),
        "How the host learns of uploads. Azure needs `EventGrid`, which `infra/` sets.",
        "LogsAndContainerScan",
    )
    top_k: int = _setting("TOP_K", whole(1, 1000), "The number of predictions kept per image.", "5")
    min_score: float | None = _setting(
        "MIN_SCORE",
        optional(Parser(_score, "a number from 0 to 1")),
        "Below this score the label is `unknown`; the best prediction stays in `top_k`. A `decision.json` replaces it.",
    )
    max_image_bytes: int = _setting(
        "MAX_IMAGE_BYTES",
        whole(1, 2**31),
        "Larger files are rejected before they are downloaded.",
        str(128 * 1024 * 1024),
    )
    max_image_pixels: int = _setting(
        "MAX_IMAGE_PIXELS", whole(1, 2**31), "Larger images are rejected from their header.", "200000000"
    )
    keep_scores: bool = _setting(
        "KEEP_SCORES",
        yes_or_no(),
        "`yes` keeps the scores of all labels in the sidecar, 2.7 KB for 1,000 labels; `no` keeps the `TOP_K` best.",
        "yes",
    )
    damaged_images: str = _setting(
        "DAMAGED_IMAGES",
        one_of(REJECT_DAMAGED, CLASSIFY_DAMAGED),
        "A truncated or damaged picture is rejected, or classified by the part that can be decoded; the row then says "
        "`damaged` and `decoded_fraction`.",
        REJECT_DAMAGED,
    )
    taken_at_from_name: NamePattern | None = _setting(
        "TAKEN_AT_FROM_NAME",
        optional(
            Parser(NamePattern, "a strptime format with year, month, day, hour and minute, such as %Y%m%d_%H%M%S")
        ),
        "The format of a time within file names, for photos whose EXIF block states no time. It is looked for anywhere "
        "in the name without its folder.",
    )
    keep_location: bool = _setting(
        "KEEP_LOCATION",
        yes_or_no(),
        "`yes` keeps latitude and longitude of a photo's EXIF block in row and sidecar.",
        "no",
    )
    decode_budget_mib: int | None = _setting(
        "DECODE_BUDGET_MIB",
        optional(whole(1, 2**20)),
        "Memory for everything that is downloaded and decoded at one moment, in MiB. The default is derived from the "
        "container's limit.",
    )
    retry_delays_seconds: tuple[int, ...] = _setting(
        "RETRY_DELAYS_SECONDS",
        Parser(_delays, "whole seconds, as 60,300,900"),
        "The growing delays before each further try, in seconds.",
        "60,300,900,1800,3600",
    )
    tag_images: bool = _setting(
        "TAG_IMAGES",
        yes_or_no(),
        "`yes` writes status, label, score band and model of each result as index tags on the image "
        "([acting on results](act.md#tags)).",
        "no",
    )
    notify_queue: str | None = _setting(
        "NOTIFY_QUEUE",
        optional(matching(_NOTIFY_QUEUE, "a queue name: 3 to 63 lower-case letters, digits and single dashes")),
        "The queue of `ImageStorage` that gets a message for each result ([acting on results](act.md#messages)).",
    )
    notify_labels: frozenset[str] = _setting(
        "NOTIFY_LABELS",
        comma_separated(),
        "With `NOTIFY_QUEUE`: only results with one of these labels get a message. By default every result does, "
        "rejected and failed ones too.",
    )
    reconcile_schedule: str = _setting(
        "RECONCILE_SCHEDULE",
        Parser(str, "an NCRONTAB expression with seconds, or a time span"),
        "When the app looks for images without a row.",
        "0 0 * * * *",
    )

    @property
    def accepts_damaged(self) -> bool:
        """Whether a truncated or damaged picture is classified by its decoded part."""
        return self.damaged_images == CLASSIFY_DAMAGED

    @property
    def index_table(self) -> str:
        """The second table: rows by label, day and status."""
        return f"{self.results_table}index"

    @property
    def reviews_table(self) -> str:
        """The table of people's reviews; created when the first ones are imported."""
        return f"{self.results_table}reviews"

    def with_candidate(self) -> Settings | None:
        """These settings with the candidate in place of the model, as after a swap; ``None`` without a trial."""
        if not self.shadow_share or not (self.shadow_model_dir or self.shadow_model_blob):
            return None
        folders = (self.shadow_model_dir,) if self.shadow_model_dir else ()
        blobs = (self.shadow_model_blob,) if self.shadow_model_blob else ()
        return replace(self, model_dirs=folders, model_blobs=blobs)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Build settings from a mapping, such as ``os.environ``.

        Raises:
            SettingsError: Names every setting that is missing or wrong, all at once.
        """
        values: dict[str, Any] = {}
        problems: list[str] = []
        for each in fields(cls):
            try:
                values[each.name] = each.metadata["setting"].read(environ)
            except SettingsError as error:
                values[each.name] = None
                problems.append(str(error).removesuffix("."))
        if values["model_blobs"]:
            is_chosen = environ.get("MODEL_DIR", "").strip() not in ("", DEFAULTS["MODEL_DIR"])
            problems += ["MODEL_DIR and MODEL_BLOB both name a model: remove one of them"] if is_chosen else []
            values["model_dirs"] = ()
        settings = cls(**values)
        problems += settings._misplaced()
        if problems:
            raise SettingsError("; ".join(problems) + ".")
        return settings

    def _misplaced(self) -> Iterator[str]:
        """Yield what must not share a container; a setting that could not be read is ``None`` here."""
        if self.incoming_container is not None and self.incoming_container == self.results_container:
            yield (
                "INCOMING_CONTAINER and RESULTS_CONTAINER are the same container, so each sidecar would be classified "
                "again, for ever: give RESULTS_CONTAINER a name of its own"
            )
        host_queues = ("azure-webjobs-", "webjobs-blobtrigger-poison", f"{self.requests_queue}-")
        if self.notify_queue and (
            self.notify_queue == self.requests_queue or self.notify_queue.startswith(host_queues)
        ):
            yield (
                "NOTIFY_QUEUE names a queue of the app or of the host, which would take the messages for requests: "
                "give it a name of its own"
            )
        written = {self.incoming_container, self.results_container}
        if self.decision_blob is not None and self.decision_blob.container in written:
            yield (
                "DECISION_BLOB lies in INCOMING_CONTAINER or RESULTS_CONTAINER, where it would be taken for an image "
                "or a result: give it a container of its own"
            )
        shadow_blobs = (self.shadow_model_blob,) if self.shadow_model_blob else ()
        for name, folders in (("MODEL_BLOB", self.model_blobs or ()), ("SHADOW_MODEL_BLOB", shadow_blobs)):
            if any(folder.container in written for folder in folders):
                yield (
                    f"{name} lies in INCOMING_CONTAINER or RESULTS_CONTAINER, where its files would be taken for "
                    "images or results: give it a container of its own"
                )
        if self.shadow_model_dir and self.shadow_model_blob:
            yield "SHADOW_MODEL_DIR and SHADOW_MODEL_BLOB both name a candidate: remove one of them"


SETTINGS: tuple[Setting[Any] | ConnectionSetting, ...] = tuple(each.metadata["setting"] for each in fields(Settings))
"""Every setting of the app, in the order of the documentation."""
DEFAULTS: Mapping[str, str] = {each.name: each.default for each in SETTINGS if each.default}
"""The defaults by name. They hold under every host: the triggers get the resolved values from ``Settings``."""
HOST_STORAGE = ConnectionSetting("AzureWebJobsStorage", "The account of the Functions host.")
"""Read by the host; the tools read it too."""
