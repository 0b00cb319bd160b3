select epoch, boot, started_at, ended_at, outcome, charged, error_code, error_message, device_ms, forwards, load_ms
from attempts
where tenant = $1 and job = $2
order by epoch
