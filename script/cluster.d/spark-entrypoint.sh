#!/bin/sh
# What Spark's pods are started with: the words `driver` or `executor`, and the rest of a command. The entry point that Spark's own images
# have is not in PySpark's package.
set -e
case ${1:-} in
    driver)
        shift
        exec "$SPARK_HOME/bin/spark-submit" --conf "spark.driver.bindAddress=$SPARK_DRIVER_BIND_ADDRESS" --deploy-mode client "$@"
        ;;
    executor)
        options=$(env | sed -n 's/^SPARK_JAVA_OPT_[0-9]*=//p') # a line each; none has blanks here
        # shellcheck disable=SC2086 # one argument each
        exec "$JAVA_HOME/bin/java" $options -Xms"$SPARK_EXECUTOR_MEMORY" -Xmx"$SPARK_EXECUTOR_MEMORY" \
            -cp "$SPARK_CLASSPATH:$SPARK_HOME/jars/*" org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend \
            --driver-url "$SPARK_DRIVER_URL" --executor-id "$SPARK_EXECUTOR_ID" --cores "$SPARK_EXECUTOR_CORES" \
            --app-id "$SPARK_APPLICATION_ID" --hostname "$SPARK_EXECUTOR_POD_IP" --resourceProfileId "$SPARK_RESOURCE_PROFILE_ID" \
            --podName "$SPARK_EXECUTOR_POD_NAME"
        ;;
    *) exec "$@" ;;
esac
