"""What has to be looked after from time to time: the projection, orphans, the heartbeat, recorded Jobs."""
