"""Robot ports: the backends that read a robot state and write a joint target."""
