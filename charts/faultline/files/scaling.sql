SELECT count(*) FROM runs WHERE pool = ':pool'
AND (state = 'dispatched' OR (state = 'running' AND lease_expires_at > now()) OR (state = 'queued'
AND (not_before IS NULL OR not_before <= now())
AND NOT EXISTS (SELECT FROM pool_controls WHERE name = ':pool' AND paused)))
