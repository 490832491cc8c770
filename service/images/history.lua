-- Changes of the history of pictures, each as one that nobody sees half done.
-- ARGV[1] is the name of the change, the others are its arguments. All keys begin with what the
-- users of Redis for SCORING_RECORDS may touch.
-- jobs:history:entries:OWNER    stream: the entries, oldest first; their ids are NUMBER-0
-- jobs:history:pictures:OWNER   hash: digest to PNG file
-- jobs:history:shown:OWNER      hash: digest to the number of entries that show it
-- jobs:history:sizes            sorted set: owners by the bytes of their pictures
-- jobs:history:bytes            the bytes of all pictures
-- jobs:history:number           the greatest number of an entry
local function entries(owner) return 'jobs:history:entries:' .. owner end
local function pictures(owner) return 'jobs:history:pictures:' .. owner end
local function shown(owner) return 'jobs:history:shown:' .. owner end

local function grow(owner, bytes)
    redis.call('ZINCRBY', 'jobs:history:sizes', bytes, owner)
    redis.call('INCRBY', 'jobs:history:bytes', bytes)
end

local function size(owner)
    return tonumber(redis.call('ZSCORE', 'jobs:history:sizes', owner) or 0)
end

-- An entry's first field is its digest.
local function remove(owner, entry)
    local digest = entry[2][2]
    redis.call('XDEL', entries(owner), entry[1])
    if redis.call('HINCRBY', shown(owner), digest, -1) > 0 then return end
    grow(owner, -redis.call('HSTRLEN', pictures(owner), digest))
    redis.call('HDEL', shown(owner), digest)
    redis.call('HDEL', pictures(owner), digest)
end

-- False where there is none, so that no loop is endless.
local function remove_oldest(owner)
    local oldest = redis.call('XRANGE', entries(owner), '-', '+', 'COUNT', 1)[1]
    if oldest then remove(owner, oldest) end
    return oldest ~= nil
end

local changes = {}

function changes.add(owner, most_entries, key_bytes, all_bytes, png, digest, ...)
    local number = string.format('%d', redis.call('INCR', 'jobs:history:number'))
    redis.call('XADD', entries(owner), number .. '-0', 'digest', digest, ...)
    redis.call('HINCRBY', shown(owner), digest, 1)
    if redis.call('HSETNX', pictures(owner), digest, png) == 1 then grow(owner, #png) end
    while redis.call('XLEN', entries(owner)) > tonumber(most_entries)
        or size(owner) > tonumber(key_bytes) do
        if not remove_oldest(owner) then break end
    end
    while tonumber(redis.call('GET', 'jobs:history:bytes')) > tonumber(all_bytes) do
        if not remove_oldest(redis.call('ZREVRANGE', 'jobs:history:sizes', 0, 0)[1]) then break end
    end
    return number
end

function changes.delete(owner, digest)
    if redis.call('HEXISTS', shown(owner), digest) == 0 then return 0 end
    for _, entry in ipairs(redis.call('XRANGE', entries(owner), '-', '+')) do
        if entry[2][2] == digest then remove(owner, entry) end
    end
    return 1
end

return changes[ARGV[1]](unpack(ARGV, 2))
