"""Past one machine, on Ray: screens over many workers, replicas of the service, labelling."""
