-- Runs commands if all conditions hold, as one change that nobody sees half done.
-- ARGV[1] is JSON: {"conditions": [{"read": command, "equals": text} or {"read": command,
-- "below": number}, ...], "commands": [command, ...]}; a command is a list of texts.
-- Returns 0, or the number of the first condition that does not hold.
local request = cjson.decode(ARGV[1])
for number, condition in ipairs(request.conditions) do
    local found = redis.call(unpack(condition.read))
    if condition.equals and tostring(found) ~= condition.equals then
        return number
    end
    if condition.below and tonumber(found) >= condition.below then
        return number
    end
end
for _, command in ipairs(request.commands) do
    redis.call(unpack(command))
end
return 0
