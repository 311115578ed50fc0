"""The rows of the table, one file each; `ORDER` is the order in which they are run and shown."""

ORDER = (
    "hop_sync", "hop_async", "hop_observed_sync", "hop_observed_async", "hop_store", "store_size", "hop_scaling", "event_memory",
    "fanout_sleep0_1k", "fanout_sleep0_10k", "fanout_sleep10ms_1k", "fanout_sleep10ms_10k", "parallel_batch", "launch",
    "cancel_10k", "cancel_200", "import_cold", "import_kernel", "layout_30", "layout_1k",
    "agent_call", "agent_cast", "agent_memory", "agent_call_sync", "agent_restart", "agent_1000",
    "store_sqlite", "store_redis", "store_postgres", "watch_sqlite", "watch_redis", "watch_postgres",
    "queue_sqlite", "queue_redis", "queue_amqp", "topic_sqlite", "topic_redis", "topic_postgres", "topic_amqp",
    "journal_node", "journal_power", "journal_batch", "journal_hop", "journal_many", "journal_bytes", "journal_reopen", "journal_state",
    "journal_resume",
    "chat_call", "chat_first_token", "chat_1000", "tool_calls",
)
