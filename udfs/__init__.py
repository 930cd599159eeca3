"""Spark wrappers around `kdsl`: what runs on executors. No SparkSession is made or held here."""
