"""Who answers, who restarts? Agents, mailboxes, supervisors, registry, tasks.

The rule of this room: it imports core and engine only; cloudpickle stands in one file. It knows no screen and no disk.
"""
