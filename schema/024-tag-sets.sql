-- Which builds wait for the same tags build_tags tells: an index of its own was written at two places, far from all others, for each job.

DROP INDEX builds_tag_set;
