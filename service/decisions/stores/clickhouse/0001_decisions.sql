-- Rows of decisions. A batch that is sent again with its token changes nothing: the newest
-- 10,000 tokens of a partition are remembered. The time to live is set by the sink.
CREATE TABLE decisions
(
    log LowCardinality(String),
    entry Int64,
    request_id String CODEC(ZSTD(3)),
    row Int64,
    time DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    key_name LowCardinality(String),
    model LowCardinality(String),
    version LowCardinality(String),
    code LowCardinality(String),
    generation Int64,
    positive Float64,
    decision LowCardinality(String),
    limits Map(String, Float64),
    costs Map(String, Float64),
    warnings Array(LowCardinality(String)),
    audited Bool,
    audit_probability Float64,
    camera_type LowCardinality(String),
    camera_class LowCardinality(String),
    direction Int64,
    hour Int64,
    weekday LowCardinality(String),
    camera_template LowCardinality(String),
    network_template LowCardinality(String),
    camera_length Int64,
    network_length Int64,
    differing Int64,
    camera_accuracy Float64,
    network_score Float64,
    INDEX requests request_id TYPE bloom_filter GRANULARITY 4,
    -- How many of which decision, by day, version and camera.
    PROJECTION by_day
    (
        SELECT toDate(time), version, camera_type, decision, count(), avg(positive)
        GROUP BY toDate(time), version, camera_type, decision
    ),
    -- What is drawn for review.
    PROJECTION audits
    (
        SELECT log, entry, time, version, decision, positive, audited, audit_probability
        ORDER BY audited, time
    )
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (log, entry)
SETTINGS non_replicated_deduplication_window = 10000;

-- Labels that came later; of several of a decision the one with the highest number counts.
CREATE TABLE labels
(
    log LowCardinality(String),
    entry Int64,
    time DateTime64(6, 'UTC'),
    number Int64,
    outcome LowCardinality(String),
    source LowCardinality(String),
    labelled DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree(number)
PARTITION BY toYYYYMM(time)
ORDER BY (log, entry)
SETTINGS non_replicated_deduplication_window = 10000;

-- How far this store is in each log; the highest step counts.
CREATE TABLE exports
(
    log String,
    step Int64,
    done Int64,
    until Int64,
    removed Int64
)
ENGINE = ReplacingMergeTree(step)
ORDER BY log;
