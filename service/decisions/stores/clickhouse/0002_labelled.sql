-- Decisions with their outcome, '' without a label.
CREATE VIEW labelled AS
SELECT found.*, label.outcome AS outcome, label.source AS source
FROM decisions AS found
LEFT JOIN
(
    SELECT log, entry, argMax(outcome, number) AS outcome, argMax(source, number) AS source
    FROM labels
    GROUP BY log, entry
) AS label ON label.log = found.log AND label.entry = found.entry;
