"""The tables of the lake: columns, keys, partitions and constraints; tests hold them to the live ones."""

from dataclasses import dataclass, field, replace

TURNS = "ARRAY<STRUCT<speaker: STRING, text: STRING, image_ids: ARRAY<STRING>>>"
LINES = "ARRAY<STRUCT<text: STRING, score: FLOAT, box: ARRAY<FLOAT>>>"
VOTES = "ARRAY<STRUCT<voter: STRING, label: STRING, score: DOUBLE, abstained: BOOLEAN>>"
RULES_FIRED = (
    "ARRAY<STRUCT<rule_id: STRING, sentence: STRING, "
    "matches: ARRAY<STRUCT<field: STRING, words: STRING, start: INT, stop: INT>>>>"
)


@dataclass(frozen=True)
class Table:
    """One Delta table. `columns` is Spark DDL; `key` names a row; `stamps` never make two rows differ."""

    name: str
    columns: str
    key: tuple[str, ...]
    partitioned_by: tuple[str, ...] = ()
    stamps: tuple[str, ...] = ()
    constraints: dict[str, str] = field(default_factory=dict)

    def ddl(self, path: str) -> str:
        """The statement that creates it at a path where it is missing."""
        properties = {
            "delta.enableChangeDataFeed": "true",
            **{f"delta.constraints.{name}": rule for name, rule in self.constraints.items()},
        }
        listed = ", ".join(f'"{key}" = "{value}"' for key, value in properties.items())
        partitions = f"PARTITIONED BY ({', '.join(self.partitioned_by)})" if self.partitioned_by else ""
        return (
            f"CREATE TABLE IF NOT EXISTS delta.`{path.replace('`', '``')}` ({self.columns}) USING DELTA {partitions} "
            f"TBLPROPERTIES ({listed})"
        )


CONVERSATIONS = Table(
    "conversations",
    f"""conversation_id STRING NOT NULL, event_date DATE NOT NULL, turns {TURNS} NOT NULL, source STRING NOT NULL,
    content_hash STRING NOT NULL, ingested_at TIMESTAMP NOT NULL""",
    key=("conversation_id",),
    partitioned_by=("event_date",),
    stamps=("source", "ingested_at"),
    constraints={"named": "length(conversation_id) > 0"},
)
IMAGES = Table(
    "images",
    """image_id STRING NOT NULL, conversation_id STRING, event_date DATE NOT NULL, sha256 STRING NOT NULL,
    content BINARY, path STRING, source STRING NOT NULL, ingested_at TIMESTAMP NOT NULL""",
    key=("image_id",),
    partitioned_by=("event_date",),
    stamps=("source", "ingested_at"),
    constraints={"named": "length(image_id) > 0", "somewhere": "content IS NOT NULL OR path IS NOT NULL"},
)
GOLD_LABELS = Table(
    "gold_labels",
    """item_id STRING NOT NULL, task STRING NOT NULL, label STRING NOT NULL, split STRING NOT NULL,
    annotator STRING, labelled_at TIMESTAMP NOT NULL""",
    key=("item_id", "task"),
    stamps=("annotator", "labelled_at"),
    constraints={"labelled": "length(label) > 0"},
)
DRAWS = Table(
    "draws",
    """item_id STRING NOT NULL, task STRING NOT NULL, event_date DATE NOT NULL, part STRING NOT NULL,
    inclusion DOUBLE NOT NULL, why STRING NOT NULL, release_id STRING NOT NULL, drawn_at TIMESTAMP NOT NULL,
    first_day DATE, last_day DATE, own_inclusion DOUBLE""",
    key=("item_id", "task"),
    stamps=("drawn_at",),
    constraints={"part_is_known": "part IN ('random', 'doubt')", "probability": "inclusion > 0 AND inclusion <= 1"},
)
IMAGE_FEATURES = Table(
    "image_features",
    f"""sha256 STRING NOT NULL, reader_version STRING NOT NULL, width INT, height INT, lines {LINES},
    error_code STRING, thumbnail BINARY, seconds DOUBLE NOT NULL, run_id STRING NOT NULL""",
    key=("sha256", "reader_version"),
)
LABELS = Table(
    "labels",
    f"""item_id STRING NOT NULL, task STRING NOT NULL, event_date DATE NOT NULL, label STRING, score DOUBLE,
    abstained BOOLEAN NOT NULL, decided_by STRING, votes {VOTES}, rules_fired {RULES_FIRED}, release_id STRING NOT NULL,
    ruleset_fingerprint STRING, input_hash STRING NOT NULL, run_id STRING NOT NULL, labelled_at TIMESTAMP NOT NULL,
    error_code STRING""",
    key=("item_id", "task"),
    partitioned_by=("event_date",),
    stamps=("run_id", "labelled_at"),
    constraints={
        "named": "length(item_id) > 0 AND length(task) > 0",
        "a_label_or_a_reason": "label IS NOT NULL OR abstained OR error_code IS NOT NULL",
        "score_is_a_probability": "score IS NULL OR (score >= 0 AND score <= 1)",
    },
)
SHADOW_LABELS = replace(LABELS, name="shadow_labels", key=("item_id", "task", "release_id"))
VOTES_TABLE = Table(
    "votes",
    """item_id STRING NOT NULL, task STRING NOT NULL, event_date DATE NOT NULL, voter STRING NOT NULL,
    voter_digest STRING NOT NULL, input_hash STRING NOT NULL, log_probs ARRAY<FLOAT>, abstained BOOLEAN NOT NULL""",
    key=("item_id", "task", "voter_digest", "input_hash"),
    constraints={"said_or_silent": "abstained = (log_probs IS NULL)"},
)
BATCH_METRICS = Table(
    "batch_metrics",
    """run_id STRING NOT NULL, event_date DATE NOT NULL, task STRING NOT NULL, metric STRING NOT NULL,
    label STRING NOT NULL, value DOUBLE, low DOUBLE, high DOUBLE, n BIGINT NOT NULL, release_id STRING NOT NULL,
    computed_at TIMESTAMP NOT NULL""",
    key=("run_id", "event_date", "task", "metric", "label"),
    stamps=("computed_at",),
)
QUARANTINE = Table(
    "quarantine",
    """source STRING NOT NULL, row_key STRING NOT NULL, error_code STRING NOT NULL, message STRING NOT NULL,
    run_id STRING NOT NULL, quarantined_at TIMESTAMP NOT NULL, record_hash STRING""",
    key=("source", "row_key", "error_code"),
    stamps=("run_id", "quarantined_at"),  # another record at the same place, in a file of the same name, is told
)
RUNS = Table(
    "runs",
    """run_id STRING NOT NULL, job STRING NOT NULL, arguments STRING NOT NULL, release_id STRING, state STRING NOT NULL,
    input_versions MAP<STRING, BIGINT>, output_versions MAP<STRING, BIGINT>, counts MAP<STRING, BIGINT>,
    seconds MAP<STRING, DOUBLE>, started_at TIMESTAMP NOT NULL, ended_at TIMESTAMP, message STRING""",
    key=("run_id",),
    constraints={"state_is_known": "state IN ('done', 'failed', 'stopped')"},
)
RELEASES = Table(
    "releases",
    """release_id STRING NOT NULL, path STRING NOT NULL, manifest_sha256 STRING NOT NULL, taxonomy STRING NOT NULL,
    scores MAP<STRING, DOUBLE> NOT NULL, created_at TIMESTAMP NOT NULL, promoted_at TIMESTAMP, reason STRING""",
    key=("release_id",),
    stamps=("scores", "created_at", "reason"),  # a release is immutable: it differs by promotion alone
)
RULE_EDITS = Table(
    "rule_edits",
    """edit_id STRING NOT NULL, task STRING NOT NULL, action STRING NOT NULL, rule_id STRING NOT NULL,
    rule STRING NOT NULL, parent STRING, who STRING NOT NULL, why STRING, edited_at TIMESTAMP NOT NULL""",
    key=("edit_id",),
    constraints={"action_is_known": "action IN ('edit', 'pin', 'ban', 'write')"},
)

TABLES = {
    table.name: table
    for table in (
        CONVERSATIONS,
        IMAGES,
        GOLD_LABELS,
        DRAWS,
        IMAGE_FEATURES,
        LABELS,
        SHADOW_LABELS,
        VOTES_TABLE,
        BATCH_METRICS,
        QUARANTINE,
        RUNS,
        RELEASES,
        RULE_EDITS,
    )
}
