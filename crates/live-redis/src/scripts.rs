//! What must happen at once inside Redis, by its clock.

use redis::Script;

pub(crate) struct Scripts {
    pub(crate) take: Script,
    pub(crate) announce: Script,
    pub(crate) workers: Script,
}

impl Default for Scripts {
    fn default() -> Self {
        Self { take: Script::new(TAKE), announce: Script::new(ANNOUNCE), workers: Script::new(WORKERS) }
    }
}

/// KEYS: the bucket. ARGV: burst, tokens a second, cost. Answers whether they were taken, and what is left.
///
/// A bucket is forgotten when it would be full. The rest goes as text, since Redis cuts numbers to integers.
const TAKE: &str = "
local burst, rate, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local known = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = burst
if known[1] then
  local at = tonumber(known[2])
  tokens = math.min(burst, tonumber(known[1]) + math.max(0, now - at) * rate)
  now = math.max(now, at)
end
local allowed = tokens >= cost
if allowed then tokens = tokens - cost end
redis.call('HSET', KEYS[1], 'tokens', string.format('%.17g', tokens), 'at', string.format('%.17g', now))
local full = math.min(math.ceil((burst - tokens) / rate * 1000) + 1000, 2592000000)
redis.call('PEXPIRE', KEYS[1], string.format('%d', full))
return {allowed and 1 or 0, string.format('%.17g', tokens)}
";

/// KEYS: until when, data. ARGV: worker, its data, how many milliseconds.
const ANNOUNCE: &str = "
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local ttl = tonumber(ARGV[3])
redis.call('ZADD', KEYS[1], string.format('%d', now + ttl), ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
for _, key in ipairs(KEYS) do
  if redis.call('PTTL', key) < ttl then redis.call('PEXPIRE', key, ARGV[3]) end
end
";

/// KEYS: until when, data. Answers pairs of worker and data, after forgetting those whose time is over.
const WORKERS: &str = "
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local gone = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%d', now))
for _, worker in ipairs(gone) do
  redis.call('ZREM', KEYS[1], worker)
  redis.call('HDEL', KEYS[2], worker)
end
local found = {}
for _, worker in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  found[#found + 1] = {worker, redis.call('HGET', KEYS[2], worker)}
end
return found
";
